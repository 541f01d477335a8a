"""Reference values: networks that look at patches, position by position."""

import numpy as np


def complex_step(function, w):
    """Jacobian of an analytic function by imaginary steps, which lose no digits."""
    return np.array([function(w + 1e-30j * row).imag / 1e-30 for row in np.eye(len(w))]).T


def meet(operator, p, w, v, b):
    """What one patch is to one template."""
    n, eps = p.size, 0.1
    if operator == "gaussian":
        mean, square = (1 + 4 / n) ** (-n / 2), (1 + 8 / n) ** (-n / 2)
        return (np.exp(-np.exp(b) / n * ((p - w) ** 2).sum()) - mean) / np.sqrt(square - mean**2)
    u = p - w
    apart, moment = (u**2, 12) if operator == "l2" else (np.sqrt(u**2 + eps**2) - eps, 2)
    return (b * np.sqrt(n) - (v * apart).sum() / np.sqrt(moment)) / np.sqrt(n)


def layer(operator, image, weights, stride):
    """What 3 × 3 templates make of an image (C, s, s) with zeros around it, position by position, with tanh."""
    w, v, b = weights
    around = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    after = (image.shape[1] - 1) // stride + 1
    out = np.zeros((len(w), after, after), dtype=complex)
    for c, i, j in np.ndindex(out.shape):
        patch = around[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
        out[c, i, j] = meet(operator, patch, w[c], None if v is None else v[c], b[c])
    return np.tanh(out)


def split(flat, shapes):
    """Flat weights as arrays of these shapes."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


def generalised_convolution():
    """f and Jacobian of two convolutions of 3 × 3, the first of stride 2, with each operator, tanh, mean and a sum."""
    random = np.random.default_rng(12)
    side, channels, h, size = 4, 2, 3, 3
    x = random.standard_normal((4, channels, side, side))
    found = {}
    for operator in ("l1", "l2", "gaussian"):
        shapes = []
        for before in (channels, h):
            templates = [(h, before, size, size)] * (1 if operator == "gaussian" else 2)
            shapes += [*templates, (h,)]
        shapes.append((1, h))
        w0 = random.standard_normal(sum(int(np.prod(shape)) for shape in shapes)).astype(complex)

        def outputs(flat, operator=operator, shapes=tuple(shapes)):
            parts = split(flat, shapes)
            if operator == "gaussian":
                parts = [parts[0], None, parts[1], parts[2], None, *parts[3:]]
            seen = [layer(operator, layer(operator, image, parts[:3], 2), parts[3:6], 1) for image in x]
            return np.array([(parts[6][0] * one.mean((1, 2))).sum() / np.sqrt(h) for one in seen])

        jacobian = complex_step(outputs, w0)
        theta = (jacobian @ jacobian.T).tolist()
        found[operator] = {"weights": w0.real.tolist(), "f": outputs(w0).real.tolist(), "theta": theta}
    made = "NumPy: patches one by one, gradients by imaginary steps"
    return {"made": made, "x": x.reshape(len(x), -1).tolist(), "operators": found}


def branch(x, parts, *, slow, context):
    """Outputs of one branch for images x (P, C, s, s), one after another: those of a pattern side by side."""
    parts, root, side = iter(parts), np.sqrt, x.shape[-1]
    lift, bias = next(parts), next(parts)
    if slow:
        first, second, mix, out = (next(parts) for _ in range(4))
        lines, m = np.linspace(-1, 1, side), len(first)
        kernel = np.zeros((len(lift), side, side), dtype=complex)
        for i, j in np.ndindex(side, side):
            c = np.array([lines[i], lines[j]])
            kernel[:, i, j] = out @ (np.sin(second @ c) * (mix @ np.sin(first @ c) / root(m) + 1)) / root(m)
    else:
        kernel = next(parts)
    mixer, last = next(parts), next(parts)
    h, found = len(lift), []
    for image in x:
        z = np.tanh(np.tensordot(lift, image, 1) / root(len(image)) + bias[:, None, None])
        other, features = np.tensordot(mixer, z, 1) / root(h), []
        for one in range(h):
            met = ((z[one] if context else 1) * kernel[one]) @ other[one] / root(side)
            apart = met - met.mean()
            seen = np.tanh(apart / root((apart**2).mean() + 1e-5))
            features += [seen[:2, :2].mean(), seen[:2, 2:].mean(), seen[2:, :2].mean(), seen[2:, 2:].mean()]
        found += list(last @ np.array(features) / root(4 * h))
    return np.array(found)


def hyper_zzw():
    """f and Jacobian of one branch, tanh: with a slow network, a table, and a table that does not see the image."""
    random = np.random.default_rng(13)
    side, channels, h, m, n_outputs = 4, 2, 3, 2, 2
    x, cases = random.standard_normal((3, channels, side, side)), {}
    for name, slow, context in (("slow", True, True), ("table", False, True), ("alone", False, False)):
        own = [(m, 2), (m, 2), (m, m), (h, m)] if slow else [(h, side, side)]
        shapes = [(h, channels), (h,), *own, (h, h), (n_outputs, 4 * h)]
        w0 = random.standard_normal(sum(int(np.prod(shape)) for shape in shapes)).astype(complex)

        def outputs(w, shapes=tuple(shapes), slow=slow, context=context):
            return branch(x, split(w, shapes), slow=slow, context=context)

        jacobian = complex_step(outputs, w0)
        theta = (jacobian @ jacobian.T).tolist()
        cases[name] = {"weights": w0.real.tolist(), "f": outputs(w0).real.tolist(), "theta": theta}
    made = "NumPy: channels and coordinates one by one, gradients by imaginary steps"
    return {"made": made, "x": x.reshape(len(x), -1).tolist(), "cases": cases}
