"""Train: choose data, system and budget, see how long it will take, follow the run, and compare it with others."""

import dataclasses
import time

import pandas as pd
import streamlit as st

from app import pages
from app.jobs import training_order, training_runs, training_speed
from app.jobs.training_order import DataSet, Order
from app.jobs.training_runs import Run
from app.jobs.training_speed import Measuring, Speed
from app.networks import registry
from app.plots import curves
from app.storage import user_folder
from app.ui import class_menu, texts, widgets
from einv2.config import CRITERION, ModelConfig, TrainConfig, field_help, without_effect
from einv2.experiments.systems import SYSTEMS

KEEP = dict(persist_state="session")  # widgets that are found as they were left
VIEWS = ("New run", "Runs")
HELD_OUT = ("a share of the clips", "other sets", "a part of the data")
MAX_COMPARED = 4
POLL_SECONDS = 2.0
TAKES = {  # what makes each system another one; those of one task are told by their output format
    "einv2-tpit": "The paper's system: an event a track, the order of tracks found anew in each frame, detection and direction in "
    "two branches that share softly.",
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
ONE_TASK = {
    "sed": "Detection alone, for the paper's Table 2; other pages need both tasks and cannot use it.",
    "doa": "Directions alone, for the paper's Table 2; other pages need both tasks and cannot use it.",
}
BEGINNINGS = {  # recommended for two cores
    "train_system": "einv2-tpit",
    "train_size": "compact",
    "train_epochs": 10,
    "train_batch_size": 16,
    "train_learning_rate": 1e-3,
    "train_schedule": "one-cycle",
    "train_seed": TrainConfig().seed,
    "train_held_out": HELD_OUT[0],
    "train_released": True,
    "train_dropout": 0.1,
    "train_validation_share": 0.1,
}
SHOWN_FIELDS = {"epochs", "batch_size", "learning_rate", "seed", "validation_share", "pit"}  # not below "More"
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
COLUMNS = ("loss", "validation_loss", *curves.SCORES)
STATES = {
    training_runs.RUNNING: (":material/model_training:", "blue"),
    training_runs.FINISHED: (":material/check:", "green"),
    training_runs.STOPPED: (":material/pause:", "orange"),
    training_runs.FAILED: (":material/error:", "red"),
}
# session keys, beside those of the widgets
WRONG = "train_wrong"  # the sentence that says why the last order was refused
MEASURING = "train_measuring"
WATCHED = "train_watched"  # the run that is shown on top


def page() -> None:
    st.title("Train a network, and watch it learn")
    place = st.container()
    if wrong := st.session_state.pop(WRONG, None):
        with place:
            widgets.error(wrong)
    try:
        runs = training_runs.runs()
        if damaged := training_runs.damaged():
            widgets.warning(
                f"The order of {', '.join(damaged)} cannot be read, so it is not listed: delete its folder below runs in the "
                "folder of user data, or put its order.json back"
            )
        for run in shown_on_top(runs):
            show_run(run)
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], key="train_view", required=True, label_visibility="collapsed", **KEEP
        )
        if view == VIEWS[0]:
            new_run(runs)
        else:
            earlier_runs(runs)
    except ValueError as error:
        with place:
            widgets.error(error)


def shown_on_top(runs: list[Run]) -> list[Run]:
    """Those that train, and the one that this user started or opened last."""
    watched = st.session_state.get(WATCHED)
    return [run for run in runs if run.state == training_runs.RUNNING or run.name == watched]


# A new run


def new_run(runs: list[Run]) -> None:
    sets = training_order.data_sets()
    if not sets:
        st.info(
            "There is nothing to train on yet: make a training set on the Scenes page, or start the app with a folder of DCASE SELD "
            "sets, `streamlit run app/main.py -- --data-root DIR`.",
            icon=":material/info:",
        )
        st.page_link(pages.SCENES.file, label="Make a training set", icon=pages.SCENES.icon)
        return
    for key, value in (BEGINNINGS | {"train_name": free_name(runs)}).items():
        st.session_state.setdefault(key, value)
    left, right = st.columns([3, 2], gap="large")
    with left:
        order = choose_order(sets)
    with right:
        show_order(order)


def free_name(runs: list[Run]) -> str:
    taken = {run.name for run in runs}
    return next(name for n in range(1, len(taken) + 2) if (name := f"run-{n}") not in taken)


def choose_order(sets: list[DataSet]) -> Order:
    st.markdown("#### Data")
    by_title = {one.title: one for one in sets}
    data = choose_sets(
        "Train on", by_title, "train_data", "Sets kept on the Scenes page, and those below the data root."
    )
    told: tuple[str, ...] = ()
    classes = class_menu.choose("Classes of the data", {"told by the data": told}, "train_classes", persist=True)
    validation, parts = choose_validation(by_title)
    st.markdown("#### Network")
    network = choose_network()
    st.markdown("#### Budget")
    settings = choose_budget()
    try:
        train = TrainConfig(**settings)
    except ValueError as error:
        raise ValueError(f"These settings do not go together: {error}") from None
    name = st.session_state["train_name"].strip()
    if classes is None:  # own names that are no list: nothing can start
        data = ()
    return Order(
        name,
        data,
        **network,
        train=train,
        validation=validation,
        train_part=parts[0],
        validation_part=parts[1],
        classes=classes or (),
    )


def choose_sets(label: str, by_title: dict[str, DataSet], key: str, help: str) -> tuple[DataSet, ...]:
    if key in st.session_state:  # a set may have been deleted
        st.session_state[key] = [title for title in st.session_state[key] if title in by_title]
    elif key == "train_data":
        st.session_state[key] = list(by_title)[:1]
    titles = st.multiselect(label, list(by_title), key=key, help=help, **KEEP)
    return tuple(by_title[title] for title in titles)


def choose_validation(
    by_title: dict[str, DataSet],
) -> tuple[tuple[DataSet, ...], tuple[tuple[str, ...], tuple[str, ...]]]:
    """Sets to validate on, and the parts to train and to validate on."""
    way = st.radio("Validate on", HELD_OUT, key="train_held_out", horizontal=True, **KEEP)
    if way == HELD_OUT[0]:
        help = f"{field_help(TrainConfig)['validation_share'].capitalize()}. Drawn with the seed; at least one clip."
        st.slider("Share held out", 0.05, 0.5, step=0.05, key="train_validation_share", help=help, **KEEP)
        return (), ((), ())
    if way == HELD_OUT[1]:
        help = "Clips that are never trained on; the scores after each epoch are theirs."
        return choose_sets("Sets to validate on", by_title, "train_validation", help), ((), ())
    first, second = st.columns(2)
    help = "What a folder or the names of clips begin with, with commas between: fold2,fold3 or dev-train. None: all others."
    train_part = first.text_input("Parts to train on", key="train_part", help=help, placeholder="all others", **KEEP)
    held_out = second.text_input(
        "Parts to validate on", key="train_validation_part", help=help, placeholder="fold1", **KEEP
    )
    return (), (as_parts(train_part), as_parts(held_out))


def as_parts(text: str) -> tuple[str, ...]:
    return tuple(part for p in text.split(",") if (part := p.strip()) and not part.startswith("-"))


def choose_network() -> dict:
    system = st.selectbox(
        "System", list(SYSTEMS), format_func=lambda name: f"{name}: {SYSTEMS[name].title}", key="train_system", **KEEP
    )
    st.caption(TAKES.get(system) or ONE_TASK[system.partition("-")[0]])
    sizes = training_order.SIZES
    size = st.selectbox("Size", list(sizes), format_func=lambda name: sizes[name].title, key="train_size", **KEEP)
    chosen = dict(system=system, size=size)
    more = {name: st.session_state[f"train_{name}"] for name in ("released", "dropout")}
    model, features, _ = Order("", (), **chosen, **more).configs
    n = training_order.n_parameters(model)
    st.caption(
        f"{n:,} parameters, {4 * n / 1e6:.1f} MB; blocks of {', '.join(map(str, model.channels))} channels, "
        f"{features.n_mels} mel bands."
    )
    if size == "paper":
        st.caption(
            "The paper trains it for 100 epochs at 5e-4 with the schedule steps, and without augmentation; its authors' code has "
            "batches of 32: set that below."
        )
    return chosen | more


def choose_budget() -> dict:
    helps = field_help(TrainConfig)
    first, second, third, fourth = st.columns(4)
    values = {
        "epochs": first.number_input("Epochs", 1, 10_000, key="train_epochs", help=said(helps["epochs"]), **KEEP),
        "batch_size": second.number_input(
            "Batch", 1, 1024, key="train_batch_size", help=said(helps["batch_size"]), **KEEP
        ),
        "learning_rate": third.number_input(
            "Learning rate",
            1e-6,
            1.0,
            step=1e-4,
            format="%.1e",
            key="train_learning_rate",
            help=said(helps["learning_rate"]),
            **KEEP,
        ),
        "seed": fourth.number_input("Seed", 0, 10**9, key="train_seed", help=said(helps["seed"]), **KEEP),
        "validation_share": st.session_state["train_validation_share"],
    }
    with st.expander("More", icon=":material/tune:"):
        values |= choose_more(helps)
    return values


def choose_more(helps: dict[str, str]) -> dict:
    """Every other field of ``TrainConfig``, and the layers of the network."""
    columns = st.columns(3)
    with columns[0]:
        st.toggle(
            "Released layers",
            key="train_released",
            help="As the shipped networks: transformer layers, cross-stitch one after the other. Off: the paper's equations 4 to 7.",
            **KEEP,
        )
    with columns[1]:
        st.number_input(
            "Dropout", 0.0, 0.9, step=0.05, key="train_dropout", help="Share dropped in the track layers.", **KEEP
        )
    fields = [f for f in dataclasses.fields(TrainConfig) if f.name not in SHOWN_FIELDS]
    system = SYSTEMS[st.session_state["train_system"]]
    idle = without_effect(*system.apply(ModelConfig(), TrainConfig(schedule=st.session_state["train_schedule"])))
    fixed = system.train.keys() | idle.keys()
    return {
        f.name: choose_field(columns[n % 3], f, said(helps[f.name]), f.name in fixed) for n, f in enumerate(fields, 2)
    }


def choose_field(column, f: dataclasses.Field, help: str, disabled: bool):
    """The widget of a field; ``disabled`` where the system sets it, or it does nothing there."""
    key, label = f"train_{f.name}", LABELS.get(f.name) or f.name.replace("_", " ").capitalize()
    st.session_state.setdefault(key, f.default)
    if f.name in CHOICES:
        return column.selectbox(label, CHOICES[f.name], key=key, help=help, disabled=disabled, **KEEP)
    if isinstance(f.default, bool):
        return column.toggle(label, key=key, help=help, disabled=disabled, **KEEP)
    least = 1 if f.name == "chunk_seconds" else type(f.default)(0)
    digits = "%g" if isinstance(f.default, float) else None  # all of them: 0.999 is not 1.00
    most = 1.0 if f.name in AT_MOST_ONE else None
    return column.number_input(label, least, most, key=key, help=help, format=digits, disabled=disabled, **KEEP)


def said(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# What it will be


def show_order(order: Order) -> None:
    st.markdown("#### How long it will take")
    measuring: Measuring | None = st.session_state.get(MEASURING)
    speed = show_speed(order, measuring)
    st.markdown("#### Start")
    name = st.text_input("Name", key="train_name", max_chars=64, **KEEP)
    beside = st.checkbox(
        "Beside a run that trains",
        key="train_beside",
        help="Otherwise one run trains at a time; two slow each other down.",
    )
    order = dataclasses.replace(order, name=name.strip())
    st.button(
        "Start training",
        on_click=start,
        args=(order, beside, speed.seconds_an_epoch if speed else None),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not (order.name and order.data),
        width="stretch",
    )
    st.caption("It goes on when this tab is closed, and when the server ends. The same by hand:")
    st.code(order.command, language=None, wrap_lines=True)


def start(order: Order, beside: bool, seconds_an_epoch: float | None) -> None:
    if end := st.session_state.pop(MEASURING, None):
        end.stop()
    if refused(lambda: training_runs.start(order, beside, seconds_an_epoch)):
        return
    st.session_state[WATCHED] = order.name
    st.session_state["train_name"] = free_name(training_runs.runs())


def refused(act) -> bool:
    """Do something; what is wrong is said once the page is drawn anew."""
    try:
        act()
    except (ValueError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        st.session_state[WRONG] = training_runs.public(text)
        return True
    return False


def show_speed(order: Order, measuring: Measuring | None) -> Speed | None:
    """What was measured for these settings, and the button that measures."""
    fits = measuring is not None and measuring.order == training_speed.describe(order)
    if fits and not measuring.is_over:
        watch_measuring(measuring)
        return None
    speed = measuring.speed if fits else None
    if speed is not None:
        show_estimate(speed, order.train.epochs)
    elif fits:
        widgets.error(training_runs.public(measuring.read()["error"]))
    else:
        st.caption(
            "Trains a few steps on some of the clips, as the run will."
            + (" The settings are others now." * bool(measuring))
        )
    label = "Measure again" if measuring else "Measure"
    st.button(label, on_click=measure, args=(order,), disabled=not order.data, icon=":material/timer:")
    return speed


def measure(order: Order) -> None:
    if end := st.session_state.pop(MEASURING, None):
        end.stop()

    def act():
        order.clips()
        st.session_state[MEASURING] = training_speed.begin(order)

    refused(act)


@st.fragment(run_every=1.0)
def watch_measuring(measuring: Measuring) -> None:
    found = measuring.read()
    if measuring.is_over:
        st.rerun()
    st.progress(found["share"], found["text"])
    st.button("Stop measuring", on_click=stop_measuring, icon=":material/stop:")


def stop_measuring() -> None:
    st.session_state.pop(MEASURING).stop()


def show_estimate(speed: Speed, epochs: int) -> None:
    first, second, third = st.columns(3)
    first.metric(
        "Total",
        texts.duration(speed.total(epochs)),
        help="With the features, which are computed once if they are not there.",
    )
    second.metric("An epoch", texts.duration(speed.seconds_an_epoch), help="With validation.")
    third.metric("Chunks a second", f"{speed.chunks_a_second:.1f}")
    features = (
        f" Features, where they are not there yet: {texts.duration(speed.features_seconds)}."
        if speed.features_seconds > 5
        else ""
    )
    st.caption(
        f"{epochs} × {speed.steps} steps ({speed.chunks} chunks).{features} Measured with the machine as busy as it was just then."
    )
    if any(run.state == training_runs.RUNNING for run in training_runs.runs()):
        st.caption("Another run was training: alone it is faster.")
    minutes, button = st.columns([1, 1], vertical_alignment="bottom")
    limit = minutes.number_input("Minutes it may take", 1, 10_000, 30, key="train_minutes", **KEEP)
    fitting = speed.epochs_in(60 * limit)
    button.button(f"Set {fitting} epochs", on_click=st.session_state.__setitem__, args=("train_epochs", fitting))


# One run


def show_run(run: Run) -> None:
    """As it stands; again and again while it trains."""
    with st.container(border=True):
        every = POLL_SECONDS if run.state == training_runs.RUNNING else None
        st.fragment(follow, run_every=every)(run.name, run.state)


def follow(name: str, state: str) -> None:
    try:
        run = training_runs.read_run(name)
    except ValueError:
        st.rerun()
    if run.state != state:
        st.rerun()
    head, buttons = st.columns([3, 2], vertical_alignment="center")
    icon, colour = STATES[run.state]
    head.markdown(f"#### {widgets.plain(run.name)} :{colour}-badge[{icon} {run.state}]")
    head.caption(widgets.plain(what_it_is(run)))
    with buttons:
        act_on(run)
    show_progress(run)
    if run.records:
        widgets.plot(curves.curves({run.name: run.records}, COLUMNS, columns=3), f"train_curves_{run.name}")
        with st.expander("Epochs", icon=":material/table:"):
            st.dataframe(epochs_table(run.records), hide_index=True, width="stretch", height="content")
    with st.expander("Log", icon=":material/article:"):
        st.code(training_runs.log_tail(run) or "Nothing yet.", language=None, wrap_lines=True)


def what_it_is(run: Run) -> str:
    order = run.order
    return f"{SYSTEMS[order['system']].title}; {order['size']}; {', '.join(order['data'])}; seed {order['seed']}"


def act_on(run: Run) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if run.state == training_runs.RUNNING:
            st.button(
                "Stop",
                on_click=refused,
                args=(lambda: training_runs.stop(run.name),),
                icon=":material/stop:",
                key=f"train_stop_{run.name}",
            )
        elif run.resumable:
            st.button(
                "Resume",
                on_click=resume,
                args=(run.name,),
                icon=":material/play_arrow:",
                key=f"train_resume_{run.name}",
                type="primary",
            )
        open_button(run, f"train_open_{run.name}")
        if run.state != training_runs.RUNNING:
            st.button("Close", on_click=close, icon=":material/close:", key=f"train_close_{run.name}")


def resume(name: str) -> None:
    if not refused(lambda: training_runs.resume(name, beside=bool(st.session_state.get("train_beside")))):
        st.session_state[WATCHED] = name


def close() -> None:
    st.session_state.pop(WATCHED, None)


def open_button(run: Run, key: str, width="content") -> None:
    """The Inspect page with the best network of a run."""
    why = "" if run.records else "There is a network after the first epoch."
    if not run.is_seld:
        why = "A network of one task has no detections to show."
    if st.button(
        "Open in Inspect", key=key, disabled=bool(why), help=why or None, icon=":material/graphic_eq:", width=width
    ):
        st.switch_page(pages.INSPECT.file, query_params={"networks": network_of(run)})


def network_of(run: Run) -> str:
    """The name in all lists of models of the best network of a run, of the last one if that is deleted."""
    names = {entry.file: entry.name for entry in registry.entries()}
    found = (names.get(run.folder / f"{which}{registry.SUFFIX}") for which in registry.BEST_AND_LAST)
    return next((name for name in found if name), run.name)


def show_progress(run: Run) -> None:
    if run.state == training_runs.RUNNING:
        st.progress(min(run.done() / run.epochs, 1.0), progress_text(run))
        if run.records and (measured := run.order.get("seconds_an_epoch")):
            st.caption(
                f"An epoch takes {texts.duration(run.seconds_an_epoch)}; measured before the start: {texts.duration(measured)}."
            )
    elif run.state == training_runs.FAILED:
        widgets.error(run.reason)
    elif run.reason:
        widgets.warning(run.reason)
    if run.state != training_runs.RUNNING:
        st.caption(f"{len(run.records)} of {run.epochs} epochs.{best_text(run)}")


def progress_text(run: Run) -> str:
    if run.epoch_began is None:
        return "Starting: reads the data, and computes the features that are not there yet"
    done, left = run.done(), run.seconds_left()
    epoch = min(int(done) + 1, run.epochs)
    share = f", about {100 * (done % 1):.0f} % of it" if done % 1 else ""
    return f"Epoch {epoch} of {run.epochs}{share}" + ("" if left is None else f" · about {texts.duration(left)} left")


def best_text(run: Run) -> str:
    best = run.best
    if best is None:
        return ""
    score = CRITERION[run.task]
    how = "the highest" if score == "F" else "the lowest"
    means = " (the mean of ER, 1 − F, LE / 180° and 1 − LR)" if score == "SELD" else ""
    told = dict.fromkeys([score, *curves.SCORES])
    scores = (f"{key} {texts.value(key, best.get(key))}" for key in told if best.get(key) is not None)
    return (
        f" The best is epoch {best['epoch']}, with {how} {score}{means} on the validation clips: {', '.join(scores)} "
        "(DCASE 2020 measures)."
    )


def epochs_table(records: list[dict]) -> pd.DataFrame:
    """The latest epoch first."""
    rows = [
        {"epoch": r["epoch"]}
        | {curves.title(key): f"{r[key]:.4f}" for key in curves.LOSSES}
        | {curves.title(key): texts.number(key, r.get(key)) for key in curves.SCORES}
        | {"time (s)": f"{r['seconds']:.1f}"}
        for r in reversed(records)
    ]
    return pd.DataFrame(rows)


# Earlier runs


def earlier_runs(runs: list[Run]) -> None:
    st.info(user_folder.SHARED, icon=":material/group:")
    if not runs:
        st.markdown("No run yet.")
        return
    every = POLL_SECONDS if any(run.state == training_runs.RUNNING for run in runs) else None  # as the card of a run
    st.fragment(show_table, run_every=every)()
    one, two = st.tabs(["Compare", "Open or delete"])
    with one:
        st.fragment(compare, run_every=every)()
    with two:
        for run in runs:
            one_of_many(run)
        show_room()


def show_table() -> None:
    best = {texts.title(key): f"Of the best epoch. {texts.SCORES[key]}" for key in ("SELD", *curves.SCORES)}
    config = {column: st.column_config.Column(help=said) for column, said in best.items()}
    table = runs_table(training_runs.runs())
    st.dataframe(table, hide_index=True, height="content", key="train_runs", column_config=config)
    st.caption("Times are the server's. Scores are those of the best epoch, on the validation clips of the run.")


def runs_table(runs: list[Run]) -> pd.DataFrame:
    """The column of resumptions is there if there was one."""
    table = pd.DataFrame([row_of(run) for run in runs])
    return table if any(run.resumed for run in runs) else table.drop(columns="resumed", errors="ignore")


def row_of(run: Run) -> dict:
    best = run.best or {}
    return {
        "run": run.name,
        "status": run.state,
        "system": run.order["system"],
        "size": run.order["size"],
        "data": ", ".join(run.order["data"]),
        "seed": run.order["seed"],
        "epochs": f"{len(run.records)} of {run.epochs}",
        "best epoch": str(best.get("epoch", "–")),
        **{texts.title(key): texts.number(key, best.get(key)) for key in ("SELD", *curves.SCORES)},
        "started": minute_of(run.started),
        "resumed": minute_of(run.resumed),
    }


def minute_of(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else "–"


def compare() -> None:
    runs = {run.name: run for run in training_runs.runs()}
    if not any(run.records for run in runs.values()):
        st.markdown("No run has finished an epoch yet.")
        return
    chosen = st.multiselect("Runs", list(runs), list(runs)[:2], max_selections=MAX_COMPARED, key="train_compared")
    if drawn := {name: runs[name].records for name in chosen if runs[name].records}:
        widgets.plot(curves.curves(drawn, COLUMNS, columns=3), "train_compared_curves")
    if waiting := [name for name in chosen if name not in drawn]:
        st.caption(f"Without an epoch yet: {widgets.plain(', '.join(waiting))}.")
    st.caption(
        "After each epoch, on the validation clips; DCASE 2020 measures. Runs compare where they validate on the same clips. "
        + " ".join(f"{key}: {texts.SCORES[key]}" for key in curves.SCORES)
    )


def one_of_many(run: Run) -> None:
    name, view, inspect, delete = st.columns([4, 1.4, 1.6, 1.4], vertical_alignment="center")
    icon, colour = STATES[run.state]
    name.markdown(f"**{widgets.plain(run.name)}** :{colour}-badge[{icon} {run.state}]")
    view.button("Look at it", on_click=watch, args=(run.name,), key=f"train_watch_{run.name}", width="stretch")
    with inspect:
        open_button(run, f"train_inspect_{run.name}", "stretch")
    with delete:
        widgets.ask_to_delete(
            f"Delete {widgets.plain(run.name)} and its networks for everyone? They cannot be brought back.",
            lambda: refused(lambda: training_runs.delete(run.name)),
            f"train_delete_{run.name}",
            width="stretch",
            disabled=run.state == training_runs.RUNNING,
        )


def watch(name: str) -> None:
    st.session_state[WATCHED] = name


def show_room() -> None:
    used, limit = user_folder.size_text(user_folder.used_bytes()), user_folder.size_text(user_folder.limit_bytes())
    st.caption(f"The folder of user data holds {used} of the {limit} that it may.")
    if n := training_runs.features_bytes():
        st.button(
            f"Delete the features of data-root sets ({user_folder.size_text(n)})",
            on_click=refused,
            args=(training_runs.delete_features,),
            help="They are kept for the next run on the same sets, and computed again when they are needed.",
            icon=":material/delete:",
        )


page()
