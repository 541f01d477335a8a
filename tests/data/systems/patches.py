"""Reference values: networks that look at patches, position by position."""

import numpy as np


def complex_step(function, w):
    """Jacobian of an analytic function by imaginary steps, which lose no digits."""
    return np.array([function(w + 1e-30j * row).imag / 1e-30 for row in np.eye(len(w))]).T


def generalised_convolution():
    """f and Jacobian of two convolutions of 3 × 3, the first of stride 2, with each operator, tanh, mean and a sum."""
    random = np.random.default_rng(12)
    side, channels, h, size, eps = 4, 2, 3, 3, 0.1
    x = random.standard_normal((4, channels, side, side))

    def meet(operator, p, w, v, b):
        n = p.size
        if operator == "gaussian":
            mean, square = (1 + 4 / n) ** (-n / 2), (1 + 8 / n) ** (-n / 2)
            return (np.exp(-np.exp(b) / n * ((p - w) ** 2).sum()) - mean) / np.sqrt(square - mean**2)
        u = p - w
        apart, moment = (u**2, 12) if operator == "l2" else (np.sqrt(u**2 + eps**2) - eps, 2)
        return (b * np.sqrt(n) - (v * apart).sum() / np.sqrt(moment)) / np.sqrt(n)

    def layer(operator, image, weights, stride):
        w, v, b = weights
        around = np.pad(image, ((0, 0), (1, 1), (1, 1)))
        after = (image.shape[1] - 1) // stride + 1
        out = np.zeros((len(w), after, after), dtype=complex)
        for c, i, j in np.ndindex(out.shape):
            patch = around[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[c, i, j] = meet(operator, patch, w[c], None if v is None else v[c], b[c])
        return np.tanh(out)

    found = {}
    for operator in ("l1", "l2", "gaussian"):
        shapes = []
        for before in (channels, h):
            templates = [(h, before, size, size)] * (1 if operator == "gaussian" else 2)
            shapes += [*templates, (h,)]
        shapes.append((1, h))
        w0 = random.standard_normal(sum(int(np.prod(shape)) for shape in shapes))

        def outputs(flat, operator=operator, shapes=tuple(shapes)):
            ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
            parts = [part.reshape(s) for part, s in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
            if operator == "gaussian":
                parts = [parts[0], None, parts[1], parts[2], None, *parts[3:]]
            values = []
            for image in x:
                seen = layer(operator, layer(operator, image, parts[:3], 2), parts[3:6], 1)
                values.append((parts[6][0] * seen.mean((1, 2))).sum() / np.sqrt(h))
            return np.array(values)

        jacobian = complex_step(outputs, w0.astype(complex))
        found[operator] = {
            "weights": w0.tolist(),
            "f": outputs(w0.astype(complex)).real.tolist(),
            "theta": (jacobian @ jacobian.T).tolist(),
        }
    made = "NumPy: patches one by one, gradients by imaginary steps"
    return {"made": made, "x": x.reshape(len(x), -1).tolist(), "operators": found}
