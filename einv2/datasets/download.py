"""Download of the public data sets."""

import contextlib
import logging
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ..messages import counted

# To their names in the package soundata
PUBLIC_SETS = {
    "dcase2019": "tau2019sse",
    "dcase2020": "tau2020sse_nigens",
    "dcase2021": "tau2021sse_nigens",
    "dcase2022": "starss2022",
}


def fetch(name: str, out: str | Path) -> list[str]:
    """Download, unpack and check one of ``PUBLIC_SETS`` with the package soundata; files that are there already are kept.

    Returns the parts (foa_dev, metadata_dev, ...). ValueError or OSError without soundata, without internet, or if a checksum is
    wrong.
    """
    try:
        import soundata
        from soundata import download_utils
    except ImportError as error:
        raise ValueError(f"fetch needs the package soundata: pip install soundata==1.0.1 ({error})") from None
    dataset = soundata.initialize(PUBLIC_SETS[name], data_home=str(out))
    parts = [part for part in dataset.remotes if part.startswith(("foa", "metadata"))]
    try:
        with _without_log():
            for part in parts:
                if isinstance(dataset.remotes[part], list):
                    _fetch_split(dataset.remotes[part], Path(out), download_utils)
                else:
                    dataset.download(partial_download=[part])
            dataset.download(partial_download=["index"])
            missing, damaged = dataset.validate(verbose=False)
    except (OSError, zipfile.BadZipFile) as error:  # urllib's errors are OSErrors
        raise OSError(
            f"{name} was not fetched: {' '.join(str(error).split())}; fetch needs internet and free disk space; delete a "
            "damaged file and run it again, and it continues."
        ) from error
    _require_whole(name, Path(out), parts, missing, damaged)
    return parts


def _fetch_split(archives: list, out: Path, download_utils: ModuleType) -> None:
    """Fetch and unpack an archive in several files, which soundata 1.0.1 does not join correctly."""
    if shutil.which("zip") is None:
        raise OSError("the program zip, which joins archives, is not installed (Debian: apt install zip)")
    for archive in archives:
        download_utils.download_from_remote(archive, str(out), False)
    last = next(out / archive.filename for archive in archives if archive.filename.endswith(".zip"))
    whole = last.with_name(f"{last.stem}_single.zip")
    whole.unlink(missing_ok=True)
    done = subprocess.run(["zip", "-q", "-s", "0", last, "--out", whole], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{last} could not be joined with its other files: {done.stdout} {done.stderr}")
    download_utils.unzip(str(whole), cleanup=True)


def _require_whole(name: str, out: Path, parts: list[str], missing: dict, damaged: dict) -> None:
    """ValueError if files of the parts are missing or damaged. The index also lists the microphone-array format, which is skipped."""
    for what, by_clip in (("missing", missing.get("clips", {})), ("damaged", damaged.get("clips", {}))):
        files = [f for clip, files in by_clip.items() if "mic" not in clip.split("/")[0] for f in files]
        if files:
            raise ValueError(
                f"{counted(len(files), f'{what} file')} of {name} in {out}, first {files[0]}: run fetch again."
            )


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """No log lines of soundata, which repeat its exceptions."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
