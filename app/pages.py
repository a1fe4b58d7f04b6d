"""The pages: file, title, icon and address of each, for the navigation and for every link to a page."""

from typing import NamedTuple


class Page(NamedTuple):
    file: str  # relative to app/, as Streamlit's links name it
    title: str
    icon: str
    url_path: str


INSPECT = Page("views/inspect/page.py", "Inspect", ":material/graphic_eq:", "inspect")
TRACKS = Page("views/tracks/page.py", "Tracks", ":material/route:", "tracks")
PIT_LAB = Page("views/pit_lab/page.py", "PIT lab", ":material/science:", "pit-lab")
EVALUATE = Page("views/evaluate/page.py", "Evaluate", ":material/analytics:", "evaluate")
SCENES = Page("views/scenes/page.py", "Scenes", ":material/spatial_audio:", "scenes")
TRAIN = Page("views/train/page.py", "Train", ":material/model_training:", "train")
MODELS = Page("views/models/page.py", "Models", ":material/deployed_code:", "models")

ALL = (INSPECT, TRACKS, PIT_LAB, EVALUATE, SCENES, TRAIN, MODELS)
OF_A_CLIP = (INSPECT, TRACKS, PIT_LAB)  # these show the clip that is open
