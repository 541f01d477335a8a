"""Observable ``curvature``: eigenvalues of the Hessian and of the Gauss–Newton matrix, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.kernels.curvature import Curvature
    from feature_lazy.kernels.lanczos import Density
    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

CURVATURE = "Curvature"
"""Theme."""
CRITERIA = "arXiv:2412.10146"
"""Where r_e and K_Hn are defined."""


@option("observe/also", "curvature")
class CurvatureOverTime(Observable):
    """Curvature of 𝓛 (eq. 7, without a regulariser) on a few patterns: Hessian H, Gauss–Newton matrix G, R = H − G.

    An eigenvalue λ times the learning rate in the article's units is dimensionless in every parametrisation: learning
    rates of layers are folded into the weights. ‖Hv − λv‖ ≤ 10⁻²|λ|, by which λ itself is known to 10⁻⁴ where it lies
    apart from others; NaN where 300 products have not found it. With ``slq=m`` the spectral density of H too, as the
    arrays over time ``hessian/nodes`` and ``hessian/weights``, (vectors, m), and how far it reaches below 0:
    r_e = |λ_min/λ_max| and K_Hn = Σ_(λ<0) |λw|^½/Σ_(λ>0) (λw)^½ over nodes λ with weights w, which depends on m; means
    over random vectors (arXiv:2412.10146). Random vectors are the same for all networks and times.
    """

    every: int = key(16, "at every how many observations, the first and the last always", ge=1)
    set: str = key("train", "whose first patterns make 𝓛: training or test set", choices=("train", "test"))
    patterns: int = key(50, "how many of them", ge=1, at_most="dataset.n_train")
    top: int = key(1, "how many of the largest eigenvalues of H; 0: none", ge=0)
    bottom: bool = key(False, "the smallest eigenvalue of H too, which can take ten times as long")
    vectors: int = key(2, "random vectors for ‖R‖, for tr R, and for the spectral density", ge=1)
    slq: int = key(0, "Lanczos steps of the spectral density of H; 0: none", ge=0)
    beside: list[str] = key(
        [], "other patterns on which r_e and K_Hn are taken as well: test, noisy", choices=("test", "noisy")
    )
    noise: float = key(0.5, "standard deviation of what is added to each number of a noisy pattern", gt=0)
    fisher: str = key(
        "none",
        "a Fisher matrix beside G: none, model (by its own distribution of labels) or empirical (by the labels)",
        choices=("none", "model", "empirical"),
    )
    batches: list[int] = key([], "sizes B of random batches of the patterns, of which λ₁ of G is recorded", gt=0)
    draws: int = key(100, "batches of each size", ge=2)

    by_surrogate = False
    quantities: ClassVar[Any] = {
        "hessian/eigenvalue_*": Quantity("eigenvalue of the Hessian", theme=CURVATURE),
        "hessian/lambda_min": Quantity("smallest eigenvalue of the Hessian", scale="linear", theme=CURVATURE),
        "hessian/residual": Quantity("Hessian less Gauss–Newton ‖R‖/‖G‖", theme=CURVATURE),
        "hessian/trace": Quantity("trace of the Hessian", scale="linear", theme=CURVATURE),
        "hessian/re": Quantity("|λ_min/λ_max| of the Hessian", where=CRITERIA, theme=CURVATURE),
        "hessian/re_*": Quantity("the same on other patterns", where=CRITERIA, theme=CURVATURE),
        "hessian/khn": Quantity("negative over positive part of the Hessian, K", where=CRITERIA, theme=CURVATURE),
        "hessian/khn_*": Quantity("the same on other patterns", where=CRITERIA, theme=CURVATURE),
        "ggn/lambda_max": Quantity("largest eigenvalue of the Gauss–Newton matrix", theme=CURVATURE),
        "ggn/batch_*_error": Quantity("standard error over batches", theme=CURVATURE),
        "ggn/batch_shift": Quantity(
            "largest eigenvalue on B patterns less that on all, over 1/B − 1/P, to second order",
            where="arXiv:2006.09092",
            theme=CURVATURE,
        ),
        "ggn/batch_*": Quantity(
            "largest eigenvalue of the Gauss–Newton matrix on B patterns", where="arXiv:2006.09092", theme=CURVATURE
        ),
        "fisher/lambda_max": Quantity("largest eigenvalue of the Fisher matrix", theme=CURVATURE),
        "empirical_fisher/lambda_max": Quantity("largest eigenvalue of the empirical Fisher matrix", theme=CURVATURE),
    }

    def problems(self, config: Config) -> Iterator[str]:
        from feature_lazy.dynamics.flows import FrozenKernelOption

        loss, path = config.loss, "observe/also=[curvature]"
        if not loss.smooth:
            yield f"{path}: loss={loss.kind} has a kink, and no second derivative there; use a loss without."
        if self.fisher == "model" and not loss.likelihood:
            from feature_lazy.kernels.curvature import no_likelihood

            yield f"observe.also.curvature.fisher=model: {no_likelihood(loss.kind)}"
        if self.beside and not self.slq:
            yield (
                f"observe.also.curvature.beside={','.join(self.beside)}: r_e and K_Hn are of the spectral density; set "
                "observe.also.curvature.slq, such as 50."
            )
        patterns = self.patterns if self.set == "train" else min(self.patterns, config.dataset.n_test)
        if wrong := [size for size in self.batches if size >= patterns]:
            yield (
                f"observe.also.curvature.batches={wrong[0]}: a batch must have fewer patterns than all, {patterns}, of "
                "which λ₁ is ggn/lambda_max; raise observe.also.curvature.patterns."
            )
        if isinstance(config.dynamics, FrozenKernelOption):
            yield (
                f"{path}: with dynamics={config.dynamics.kind} the network is linear in its weights, and its Hessian "
                "is Jᵀℓ″J/P of the frozen kernel at all times; leave it out."
            )

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: more Lanczos steps than weights.
        """
        layout = moment.setting.flow.architecture.layout
        count = sum(part.shape[1] for part in layout.gathered(moment.weights))
        if self.slq > count:
            raise ConfigError(
                f"observe.also.curvature.slq={self.slq}: H has {count} rows, for the weights that are trained; Lanczos "
                "steps beyond that find nothing more."
            )
        self._densities: WeakKeyDictionary[Moment, Density] = WeakKeyDictionary()

    def at(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.at``; NaN of a member that has diverged."""
        curvature = moment.curvature(self.patterns, of=self.set)
        finite = curvature.finite
        found: dict[str, Tensor] = {}
        for name, values in self._of(curvature.select(finite)).items():
            found[name] = values.new_full((len(moment),), float("nan"))
            found[name][finite] = values
        return found | self._criteria(moment)

    def _criteria(self, moment: Moment) -> dict[str, Tensor]:
        if not self.slq:
            return {}
        found = {"": self._density(moment)}
        for name in self.beside:
            of, noise = ("test", 0.0) if name == "test" else (self.set, self.noise)
            curvature = moment.curvature(self.patterns, of=of, noise=noise)
            found[f"_{name}"] = curvature.hessian_density(self.slq, self.vectors)
        ends = {f"hessian/re{end}": density.ends.mean(1) for end, density in found.items()}
        return ends | {f"hessian/khn{end}": density.negativity().mean(1) for end, density in found.items()}

    def _density(self, moment: Moment) -> Density:
        """Of H: ``at`` and ``series`` ask for the same."""
        if moment not in self._densities:
            density = moment.curvature(self.patterns, of=self.set).hessian_density(self.slq, self.vectors)
            self._densities[moment] = density
        return self._densities[moment]

    def _of(self, curvature: Curvature) -> dict[str, Tensor]:
        sample, k = curvature.sampled(self.vectors), self.top
        found = {
            "hessian/residual": sample.residual,
            "hessian/trace": sample.trace,
            "ggn/lambda_max": curvature.ggn_top(1)[:, 0],
        }
        if k or self.bottom:
            values = curvature.hessian_top(k, bottom=self.bottom)
            found |= {f"hessian/eigenvalue_{i + 1}": values[:, i] for i in range(k)}
            found |= {"hessian/lambda_min": values[:, k]} if self.bottom else {}
        if self.batches:
            found["ggn/batch_shift"] = curvature.batch_shift()
        for size in self.batches:
            drawn = curvature.batch_top(size, self.draws)
            found[f"ggn/batch_{size}"] = drawn.mean(1)
            found[f"ggn/batch_{size}_error"] = drawn.std(1) / self.draws**0.5
        if self.fisher == "model":
            found["fisher/lambda_max"] = curvature.fisher_top(1)[:, 0]
        if self.fisher == "empirical":
            found["empirical_fisher/lambda_max"] = curvature.empirical_fisher_top(1)[:, 0]
        return found

    def series(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.series``: nodes and weights of the spectral density, (M, vectors, m)."""
        if not self.slq:
            return {}
        density = self._density(moment)
        return {"hessian/nodes": density.nodes, "hessian/weights": density.weights}
