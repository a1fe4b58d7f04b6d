"""What a session keeps of the open clip; closing the clip frees it."""

from app.ui.session_cache import SessionCache

PREPARED = SessionCache("prepared", 1)  # the clip with its channels and its window as chosen
ANALYSES = SessionCache("analyses", 16)  # the clip without a network, and each network on it
SOUNDS = SessionCache("sounds", 2)  # the clip as it is listened to
TIMELINE = SessionCache("timeline_figure", 1)  # the figure of the Inspect page, without detections
SYSTEMS = SessionCache("systems", 48)  # the detections of systems, and what the Tracks page computes of them
RIBBONS = SessionCache("ribbons_figure", 1)  # the figure of the Tracks page, without ribbons
ALL = (PREPARED, ANALYSES, SOUNDS, TIMELINE, SYSTEMS, RIBBONS)
