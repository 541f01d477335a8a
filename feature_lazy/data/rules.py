"""Rules of the groups ``dataset`` and ``labels`` that join several keys, and what their options stand for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.data import labels, synthetic
from feature_lazy.data.sources import SOURCES, Source
from feature_lazy.settings import config as schema


def law(config: schema.Synthetic) -> synthetic.Law:
    """The law that a synthetic set is drawn from.

    Raises:
        ConfigError: an option without a law.
    """
    match config:
        case schema.TeacherStudent():
            return synthetic.TeacherStudent(config.dim, config.hidden)
        case schema.Stripe():
            return synthetic.Stripe(config.dim, tuple(config.interfaces))
        case schema.SparseParity():
            return synthetic.SparseParity(config.dim, config.order)
        case schema.Spheres():
            return synthetic.Spheres(config.dim, config.shells)
    raise ConfigError(f"dataset={config.kind}: there is no such law.")


def label_rule(config: schema.Labels) -> labels.Labels:
    """The rule that an option of ``labels`` stands for.

    Raises:
        ConfigError: an option without a rule.
    """
    match config:
        case schema.ParityLabels():
            return labels.Parity()
        case schema.OneVsRestLabels():
            return labels.OneVsRest(config.positive)
        case schema.PairLabels():
            return labels.Pairs(tuple(config.minus), tuple(config.plus))
        case schema.RandomLabels():
            return labels.RandomLabels(config.seed)
        case schema.RegressionLabels():
            return labels.Regression()
        case schema.ClassLabels():
            return labels.Classes()
    raise ConfigError(f"labels={config.kind}: there are no such labels.")


def data_name(config: schema.Dataset) -> str:
    """How tables and figures call the patterns: the set, and what of it is used, such as ``cifar10[3,5] pca10``."""
    if not isinstance(config, schema.Images):
        return config.kind
    classes = f"[{','.join(map(str, config.classes))}]" if config.classes != type(config)().classes else ""
    return config.kind + classes + (f" pca{config.pca.components}" if config.pca.components else "")


def data_key(config: schema.Dataset) -> str:
    """The key that decides of what shape patterns are, with its value."""
    if isinstance(config, schema.Images) and config.pca.components:
        return f"dataset.pca.components={config.pca.components}"
    return f"dataset={config.kind}"


def label_name(config: schema.Config) -> str:
    """How tables call the labels; data of the user's own come with labels of their own."""
    return config.labels.kind if not isinstance(config.dataset, schema.CustomData) else config.dataset.kind


def pattern_shape(config: schema.Dataset) -> tuple[int, ...] | None:
    """Shape of one pattern; None where only the data themselves say it, or where there are none."""
    match config:
        case schema.Images() if config.pca.components:
            return (config.pca.components,)
        case schema.Images() if config.kind in SOURCES:
            return SOURCES[config.kind].shape
        case schema.Synthetic():
            return (config.dim,)
    return None


@dataclass(frozen=True)
class _Classes:
    """The classes that a set offers, and the key that says which."""

    key: str
    names: Sequence[int]


def data_problems(config: schema.Config) -> Iterator[str]:
    """Everything that is wrong with data and labels: one line each, with key, value and what is allowed."""
    data, source = config.dataset, None
    if data.kind != type(data)().kind:
        return  # The range of the key itself says so.
    if isinstance(data, schema.CustomData):
        if not isinstance(config.labels, schema.ParityLabels):
            yield f"labels={config.labels.kind}: the target of dataset=custom returns the labels; leave labels=parity."
        return
    if isinstance(data, schema.Images):
        source = SOURCES[data.kind]
        problems, offered = list(_image_problems(data, source)), _chosen(data, source)
    else:
        assert isinstance(data, schema.Synthetic)
        problems = list(_synthetic_problems(data))
        key = f"dataset.shells={data.shells}" if isinstance(data, schema.Spheres) else f"dataset={data.kind}"
        offered = _Classes(key, range(0 if problems else law(data).n_classes))
    several = isinstance(config.labels, schema.ClassLabels)
    problems += _size_problems(config, offered)
    problems += loss_problems(config.loss, several, f"labels={config.labels.kind}")
    if not problems:
        problems = list(_label_problems(config, offered, source))
    yield from problems


def _chosen(data: schema.Images, source: Source) -> _Classes:
    return _Classes(f"dataset.classes={_listed(data.classes)}", data.classes or source.classes)


def _listed(values: Sequence[object]) -> str:
    return f"[{','.join(map(str, values))}]"


def _image_problems(data: schema.Images, source: Source) -> Iterator[str]:
    first, last = source.classes[0], source.classes[-1]
    if not set(data.classes) <= set(source.classes):
        yield f"dataset.classes={_listed(data.classes)}: {data.kind} has the classes {first} … {last}."
    if len(set(data.classes)) < len(data.classes):
        yield f"dataset.classes={_listed(data.classes)}: each class may be named once."
    if data.pca.components > source.input_dim:
        yield f"dataset.pca.components={data.pca.components}: {data.kind} has d = {source.input_dim} numbers."


def _synthetic_problems(data: schema.Synthetic) -> Iterator[str]:
    if isinstance(data, schema.Stripe):
        ascending = data.interfaces == sorted(set(data.interfaces))
        if not data.interfaces or not ascending:
            yield f"dataset.interfaces={_listed(data.interfaces)}: must be one or more numbers, ascending."
    if isinstance(data, schema.SparseParity):
        if data.order > data.dim:
            yield f"dataset.order={data.order}: must be at most dataset.dim={data.dim}."
        if data.n_train + data.n_test > 2 ** (data.dim - 1):
            yield (
                f"dataset.dim={data.dim}: there are {2**data.dim} patterns of signs, and dataset.n_train="
                f"{data.n_train} and dataset.n_test={data.n_test} may ask for half of them at most."
            )


def _size_problems(config: schema.Config, offered: _Classes) -> Iterator[str]:
    unit = label_rule(config.labels).unit(offered.names)
    for key in ("n_train", "n_test"):
        size = getattr(config.dataset, key)
        if unit and size % unit:
            what = "even" if unit == 2 else f"a multiple of {unit}"
            yield f"dataset.{key}={size}: must be {what}, so that the labels are balanced."


def loss_problems(loss: schema.Loss, several: bool, labels: str) -> Iterator[str]:
    """What is wrong with a loss for several outputs or one; ``labels`` says which labels ask for that many."""
    if several and not isinstance(loss, schema.Mse | schema.CrossEntropy):
        yield f"loss={loss.kind}: is for one output; with {labels} use loss=cross_entropy or loss=mse."
    if isinstance(loss, schema.CrossEntropy) and not several:
        yield f"loss=cross_entropy: is for classes, such as those of labels=classes; with {labels} use another."


def _label_problems(config: schema.Config, offered: _Classes, source: Source | None) -> Iterator[str]:
    """What is wrong with the labels of classes that there are, and then with the numbers of patterns."""
    yield from _regression_problems(config)
    if isinstance(config.labels, schema.PairLabels) and source is not None and len(offered.names) < len(source.counts):
        yield f"{offered.key}: with labels=pairs the pairs say which classes are used; leave it []."
        return
    rule = label_rule(config.labels)
    try:
        used = rule.in_use(offered.names)
    except DataError as error:
        key = _label_key(config.labels)
        reason = str(error).rstrip(".")
        yield f"{offered.key} and labels={config.labels.kind}{key}: {reason[0].lower()}{reason[1:]}."
        return
    if source is not None:
        yield from _count_problems(config.dataset, source, rule.cycle(used))


def _regression_problems(config: schema.Config) -> Iterator[str]:
    if not isinstance(config.labels, schema.RegressionLabels):
        return
    if not isinstance(config.loss, schema.Mse):
        yield f"loss={config.loss.kind}: labels=regression are real numbers; use loss=mse."
    elif config.loss.target != 1:
        yield f"loss.target={config.loss.target}: labels=regression are the targets themselves; it must be 1."


def _label_key(config: schema.Labels) -> str:
    match config:
        case schema.OneVsRestLabels():
            return f" labels.positive={config.positive}"
        case schema.PairLabels():
            return f" labels.minus={_listed(config.minus)} labels.plus={_listed(config.plus)}"
    return ""


def _count_problems(data: schema.Dataset, source: Source, cycle: Sequence[int]) -> Iterator[str]:
    n = len(cycle) * min(source.count(name) // cycle.count(name) for name in set(cycle))
    if data.n_train + data.n_test > n:
        yield (
            f"dataset.n_train={data.n_train} and dataset.n_test={data.n_test}: {data.kind} has {n} patterns in "
            "balanced classes; ask for at most as many in total."
        )
