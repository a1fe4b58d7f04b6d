"""Label frames: the time step of annotations and of the network's output, and how long clips and chunks may be."""

SAMPLE_RATE = 24000  # Hz: of the network, unless its features say otherwise, and of all that is simulated
LABEL_FRAME_MS = 100  # the time step of every DCASE SELD annotation and of the network's output


LABEL_FRAMES_PER_SECOND = 1000 // LABEL_FRAME_MS


LABEL_FRAME_SECONDS = LABEL_FRAME_MS / 1000


MAX_SECONDS = 7 * 24 * 3600  # a week, of clips and of annotations


CHUNK_SECONDS = 4  # the paper's; what a network runs on where nothing is known of its training


MAX_CHUNK_SECONDS = 600
