"""From the groups ``dataset`` and ``labels`` to patterns and labels."""

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.custom import split
from feature_lazy.data.prepare import Dataset, prepare, prepare_synthetic
from feature_lazy.data.rules import label_rule, law
from feature_lazy.settings import config as schema
from feature_lazy.settings.targets import factory


def build_dataset(data: schema.Dataset, labels: schema.Labels) -> Dataset:
    """Load or draw patterns, split and label them: in float64 on the CPU.

    Raises:
        ConfigError: an option without data, or a target that is refused or fails.
        DataError: data that are missing, or not what they should be.
    """
    sizes, rule = (data.n_train, data.n_test, data.seed), label_rule(labels)
    match data:
        case schema.Images():
            root = data.root if isinstance(data, schema.DownloadedImages) else None
            components = data.pca.components
            return prepare(data.kind, *sizes, labels=rule, classes=data.classes, components=components, root=root)
        case schema.Synthetic():
            return prepare_synthetic(law(data), *sizes, labels=rule)
        case schema.CustomData():
            return split(factory("dataset", data.target, data.kwargs), data.n_train, data.n_test)
    raise ConfigError(f"dataset={data.kind}: there are no such data.")
