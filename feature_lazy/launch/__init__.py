"""Jobs in processes and on clusters, and the commands."""
