"""What every user needs on their own sweeps: tables, error bars, laws and verdicts, figures, report, dashboard."""
