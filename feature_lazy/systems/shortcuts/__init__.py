"""On the foundations of shortcut learning (Hermann, Mobahi, Fel, Mozer 2023)."""

PAPER = "2310.16228"
CLAIM = "Nonlinear networks with biases rely on what is more available beyond what it predicts, linear ones do not."
NOTE = "In the replication five seeds cannot tell the bias of nonlinear networks from 0."
