"""From stored runs to tables, fits and figures. Runs are read through ``feature_lazy.runs.reading`` only."""
