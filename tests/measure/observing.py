"""Observation of a few networks, without a run."""

import torch

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.measure.moment import Moment, Setting
from feature_lazy.measure.observer import Observer, default_set
from feature_lazy.settings.observing import KernelObservation


def setting(net, data, loss, *, alpha, w0, n_test):
    """What stays along a training of the network itself."""
    flow = NetworkFlow(net, data.x_train, data.y_train, loss, alpha=alpha, w0=w0)
    return Setting(flow, NetworkModel(net), data, w0, n_test)


def default_observer(stays, patterns):
    """The default set, with the kernel on so many patterns."""
    return Observer(stays, default_set(KernelObservation(probe=patterns)), {})


def moment(stays, member, w):
    """Members (k,) at weights w (k, N)."""
    return Moment(stays, member, w, torch.zeros(len(member), dtype=w.dtype))


def columns(rows):
    """Rows as name → (k,)."""
    return {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
