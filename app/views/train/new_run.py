"""The view of a new run: data, network and budget on the left; on the right how long it will take, and its start."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import pages
from app.jobs import training_order, training_runs, training_speed
from app.jobs.training_order import DataSet, Order
from app.jobs.training_runs import Run
from app.jobs.training_speed import Measuring, Speed
from app.ui import class_menu, texts, widgets
from app.views.train import runs
from einv2.config import ModelConfig, TrainConfig, field_help, without_effect
from einv2.experiments.systems import SYSTEMS
from einv2.status import RUNNING

KEEP: dict[str, Any] = dict(persist_state="session")  # of widgets that keep their state when the view is left
# session keys that callbacks of this view set
NAME, EPOCHS = "train_name", "train_epochs"
MEASURING = "train_measuring"


def show(known: list[Run]) -> None:
    sets = training_order.data_sets()
    if not sets:
        st.info(
            "There is nothing to train on yet: make a training set on the Scenes page, or start the app with a folder of DCASE SELD "
            "sets, `streamlit run app/main.py -- --data-root DIR`.",
            icon=":material/info:",
        )
        st.page_link(pages.SCENES.file, label="Make a training set", icon=pages.SCENES.icon)
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        order = choose_order(sets)
    with right:
        show_order(order, known)


def choose_order(sets: list[DataSet]) -> Order:
    """All but the name."""
    st.markdown("#### Data")
    by_title = {one.title: one for one in sets}
    help = "Sets kept on the Scenes page, and those below the data root."
    data = choose_sets("Train on", by_title, list(by_title)[:1], "train_data", help)
    from_data: dict[str, tuple[str, ...]] = {"inferred from the data": ()}
    classes = class_menu.choose("Classes of the data", from_data, "train_classes", persist=True)
    held_out = choose_held_out(by_title)
    st.markdown("#### Network")
    system, size = choose_system()
    description = st.container()
    st.markdown("#### Budget")
    settings = choose_budget()
    with st.expander("More", icon=":material/tune:"):
        released, dropout, others = choose_more(system)
    try:
        train = TrainConfig(**settings, **others, validation_share=held_out.share)
    except ValueError as error:
        raise ValueError(f"These settings do not go together: {error}") from None
    order = Order(
        name="",
        data=data if classes is not None else (),  # without a class list nothing can be started
        system=system,
        size=size,
        released=released,
        dropout=dropout,
        train=train,
        validation=held_out.sets,
        train_part=held_out.train_part,
        validation_part=held_out.validation_part,
        classes=classes or (),
    )
    with description:
        describe_network(order)
    return order


# Data


def choose_sets(
    label: str, by_title: dict[str, DataSet], at_first: list[str], key: str, help: str
) -> tuple[DataSet, ...]:
    chosen = st.session_state.get(key, at_first)
    st.session_state[key] = [title for title in chosen if title in by_title]  # a set may have been deleted
    titles = st.multiselect(label, list(by_title), key=key, help=help, **KEEP)
    return tuple(by_title[title] for title in titles)


@dataclass(frozen=True)
class HeldOut:
    """What a run validates on: a share of the clips, other sets, or a part of the data."""

    share: float = TrainConfig.validation_share
    sets: tuple[DataSet, ...] = ()
    train_part: tuple[str, ...] = ()
    validation_part: tuple[str, ...] = ()


def choose_held_out(by_title: dict[str, DataSet]) -> HeldOut:
    share, sets, part = "a share of the clips", "other sets", "a part of the data"
    way = st.radio("Validate on", (share, sets, part), key="train_held_out", horizontal=True, **KEEP)
    if way == share:
        key = "train_validation_share"
        st.session_state.setdefault(key, 0.1)
        help = f"{field_help(TrainConfig)['validation_share'].capitalize()}. Drawn with the seed; at least one clip."
        return HeldOut(share=st.slider("Share held out", 0.05, 0.5, step=0.05, key=key, help=help, **KEEP))
    if way == sets:
        help = "Clips that are not trained on; the scores after each epoch are measured on them."
        return HeldOut(sets=choose_sets("Sets to validate on", by_title, [], "train_validation", help))
    first, second = st.columns(2)
    help = "The beginnings of the names of folders or clips, with commas between: fold2,fold3 or dev-train. None: all others."
    train_part = first.text_input("Parts to train on", key="train_part", help=help, placeholder="all others", **KEEP)
    validation_part = second.text_input(
        "Parts to validate on", key="train_validation_part", help=help, placeholder="fold1", **KEEP
    )
    return HeldOut(train_part=as_parts(train_part), validation_part=as_parts(validation_part))


def as_parts(text: str) -> tuple[str, ...]:
    return tuple(part for p in text.split(",") if (part := p.strip()) and not part.startswith("-"))


# Network

SYSTEM_TEXTS = {
    "einv2-tpit": "The paper's system: each track holds one event, the order of tracks is found anew in each frame, and detection and "
    "direction are two branches that share softly.",
    "einv2-cpit": "The order of tracks is found once a chunk, which swaps tracks less and learns less.",
    "einv2-nopit": "No search for the order of tracks: shows what permutation-invariant training is for.",
    "einv2-hard": "One stack of convolutions for detection and direction.",
    "einv2-none": "Two branches that share nothing.",
    "seldnet": "An activity and one direction for each class, so never two events of a class; soft sharing.",
    "seldnet-hard": "The same with one stack of convolutions.",
    "seldnet-none": "The same with two branches that share nothing.",
    "accdoa": "A vector for each class: its length is the activity, its direction the direction; the smallest.",
    "crnn": "The convolutional recurrent baseline of the DCASE 2020 challenge.",
}
ONE_TASK_TEXTS = {
    "sed": "Detection alone, for the paper's Table 2; other pages need both tasks and cannot use it.",
    "doa": "Directions alone, for the paper's Table 2; other pages need both tasks and cannot use it.",
}


def choose_system() -> tuple[str, str]:
    """A system of the paper, and a size."""
    st.session_state.setdefault("train_system", "einv2-tpit")
    st.session_state.setdefault("train_size", "compact")
    title = lambda name: f"{name}: {SYSTEMS[name].title}"  # noqa: E731
    system = st.selectbox("System", list(SYSTEMS), format_func=title, key="train_system", **KEEP)
    st.caption(SYSTEM_TEXTS.get(system) or ONE_TASK_TEXTS[system.partition("-")[0]])
    sizes = training_order.SIZES
    size = st.selectbox("Size", list(sizes), format_func=lambda name: sizes[name].title, key="train_size", **KEEP)
    return system, size


def describe_network(order: Order) -> None:
    model, features, _ = order.configs
    n = training_order.n_parameters(model)
    st.caption(
        f"{n:,} parameters, {4 * n / 1e6:.1f} MB; blocks of {', '.join(map(str, model.channels))} channels, "
        f"{features.n_mels} mel bands."
    )
    if order.size == "paper":
        st.caption(
            "The paper trains it for 100 epochs at 5e-4 with the schedule steps, and without augmentation; its authors' code has "
            "batches of 32: set that below."
        )


# Budget


def choose_budget() -> dict[str, Any]:
    """Epochs, batch size, learning rate and seed."""
    for key, value in (
        (EPOCHS, 10),
        ("train_batch_size", 16),
        ("train_learning_rate", 1e-3),
        ("train_seed", TrainConfig.seed),
    ):
        st.session_state.setdefault(key, value)
    helps = {name: as_sentence(text) for name, text in field_help(TrainConfig).items()}
    first, second, third, fourth = st.columns(4)
    return {
        "epochs": first.number_input("Epochs", 1, 10_000, key=EPOCHS, help=helps["epochs"], **KEEP),
        "batch_size": second.number_input("Batch", 1, 1024, key="train_batch_size", help=helps["batch_size"], **KEEP),
        "learning_rate": third.number_input(
            "Learning rate",
            1e-6,
            1.0,
            step=1e-4,
            format="%.1e",
            key="train_learning_rate",
            help=helps["learning_rate"],
            **KEEP,
        ),
        "seed": fourth.number_input("Seed", 0, 10**9, key="train_seed", help=helps["seed"], **KEEP),
    }


CHOSEN_ABOVE = {"epochs", "batch_size", "learning_rate", "seed", "validation_share", "pit"}  # pit: by the system
LABELS = {
    "chunk_seconds": "Chunk (s)",
    "patience": "Patience (epochs)",
    "sed_weight": "Share of SED loss",
    "time_mask_frames": "Time mask (frames, share)",
    "frequency_mask_bins": "Mel mask (bands, share)",
    "clip_norm": "Gradient norm, at most",
    "masked_loss": "DoA loss, SELDnet format",
    "chunk_offset": "Chunks from a random place",
    "gain_db": "Gain (± dB)",
    "filter_db": "Filter (± dB)",
    "shift_bins": "Shift (bands)",
    "average_decay": "Weight average (decay)",
}
AT_MOST_ONE = {"warmup_share", "sed_weight", "average_decay"}
CHOICES = {"schedule": ("one-cycle", "steps"), "precision": ("auto", "fp32", "bf16"), "masked_loss": ("mse", "root")}


def choose_more(system: str) -> tuple[bool, float, dict[str, Any]]:
    """Released layers or not, dropout, and every other field of ``TrainConfig``. What the system sets, or what does nothing with
    it and the schedule, cannot be changed."""
    st.session_state.setdefault("train_released", True)
    st.session_state.setdefault("train_dropout", 0.1)
    columns = st.columns(3)
    help = "As the shipped networks: transformer layers, cross-stitch one after the other. Off: the paper's equations 4 to 7."
    released = columns[0].toggle("Released layers", key="train_released", help=help, **KEEP)
    help = "Share dropped in the track layers."
    dropout = columns[1].number_input("Dropout", 0.0, 0.9, step=0.05, key="train_dropout", help=help, **KEEP)
    values: dict[str, Any] = {"schedule": "one-cycle"}
    helps = field_help(TrainConfig)
    fields = [f for f in dataclasses.fields(TrainConfig) if f.name not in CHOSEN_ABOVE]
    for n, f in enumerate(fields, 2):
        idle = without_effect(*SYSTEMS[system].apply(ModelConfig(), TrainConfig(schedule=values["schedule"])))
        disabled = f.name in idle or f.name in SYSTEMS[system].train
        at_first = values.get(f.name, f.default)
        values[f.name] = choose_field(columns[n % 3], f.name, at_first, as_sentence(helps[f.name]), disabled)
    return released, dropout, values


def choose_field(column: Any, name: str, at_first: Any, help: str, disabled: bool) -> Any:
    """The widget of a field, by the type of its first value."""
    key, label = f"train_{name}", LABELS.get(name) or name.replace("_", " ").capitalize()
    st.session_state.setdefault(key, at_first)
    if name in CHOICES:
        return column.selectbox(label, CHOICES[name], key=key, help=help, disabled=disabled, **KEEP)
    if isinstance(at_first, bool):
        return column.toggle(label, key=key, help=help, disabled=disabled, **KEEP)
    least = 1 if name == "chunk_seconds" else type(at_first)(0)
    digits = "%g" if isinstance(at_first, float) else None  # all of them: 0.999 is not 1.00
    most = 1.0 if name in AT_MOST_ONE else None
    return column.number_input(label, least, most, key=key, help=help, format=digits, disabled=disabled, **KEEP)


def as_sentence(text: str) -> str:
    return f"{texts.capitalised(text)}."


# How long it will take


def show_order(order: Order, known: list[Run]) -> None:
    st.markdown("#### How long it will take")
    speed = show_speed(order, st.session_state.get(MEASURING), known)
    st.markdown("#### Start")
    st.session_state.setdefault(NAME, free_name(known))
    order = dataclasses.replace(order, name=st.text_input("Name", key=NAME, max_chars=64, **KEEP).strip())
    help = "Otherwise one run trains at a time; two slow each other down."
    beside = st.checkbox("Beside a run that trains", key=runs.BESIDE, help=help)
    st.button(
        "Start training",
        on_click=start,
        args=(order, beside, speed.seconds_an_epoch if speed else None),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not (order.name and order.data),
        width="stretch",
    )
    st.caption("It continues when this tab is closed or the server stops. The same by hand:")
    st.code(order.command, language=None, wrap_lines=True)


def free_name(known: list[Run]) -> str:
    return texts.free_name("run", {run.name for run in known})


def start(order: Order, beside: bool, seconds_an_epoch: float | None) -> None:
    stop_measuring()
    if runs.attempt(lambda: training_runs.start(order, beside, seconds_an_epoch)):
        runs.watch(order.name)
        st.session_state[NAME] = free_name(training_runs.runs())


def show_speed(order: Order, measuring: Measuring | None, known: list[Run]) -> Speed | None:
    """What was measured with these settings, and the button that measures."""
    speed = None
    if measuring is None or measuring.order != training_speed.describe(order):
        changed = " The settings have changed since this was measured." if measuring else ""
        st.caption(f"Trains a few steps on some of the clips, as the run will.{changed}")
    elif not measuring.is_over:
        follow_measuring(measuring)
        return None
    elif speed := measuring.speed:
        show_estimate(speed, order.train.epochs, known)
    else:
        widgets.error(training_runs.public(measuring.read()["error"]))
    label = "Measure again" if measuring else "Measure"
    st.button(label, on_click=measure, args=(order,), disabled=not order.data, icon=":material/timer:")
    return speed


def measure(order: Order) -> None:
    stop_measuring()

    def act() -> None:
        order.clips()
        st.session_state[MEASURING] = training_speed.begin(order)

    runs.attempt(act)


@st.fragment(run_every=1.0)
def follow_measuring(measuring: Measuring) -> None:
    found = measuring.read()
    if measuring.is_over:
        st.rerun()
    st.progress(found["share"], found["text"])
    st.button("Stop measuring", on_click=stop_measuring, icon=":material/stop:")


def stop_measuring() -> None:
    if measuring := st.session_state.pop(MEASURING, None):
        measuring.stop()


def show_estimate(speed: Speed, epochs: int, known: list[Run]) -> None:
    first, second, third = st.columns(3)
    help = "With the features, which are computed once if they are not there."
    first.metric("Total", texts.duration(speed.total(epochs)), help=help)
    second.metric("An epoch", texts.duration(speed.seconds_an_epoch), help="With validation.")
    third.metric("Chunks a second", f"{speed.chunks_a_second:.1f}")
    features = ""
    if speed.features_seconds > 5:
        features = f" Features, where they are not there yet: {texts.duration(speed.features_seconds)}."
    st.caption(
        f"{epochs} × {speed.steps} steps ({speed.chunks} chunks).{features} Measured under the machine's load at that moment."
    )
    if any(run.state == RUNNING for run in known):
        st.caption("Another run was training: alone it is faster.")
    minutes, button = st.columns([1, 1], vertical_alignment="bottom")
    limit = minutes.number_input("Minutes it may take", 1, 10_000, 30, key="train_minutes", **KEEP)
    fitting = speed.epochs_in(60 * limit)
    button.button(f"Set {fitting} epochs", on_click=st.session_state.__setitem__, args=(EPOCHS, fitting))
