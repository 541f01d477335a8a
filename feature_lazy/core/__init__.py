"""What every room needs: errors, files, memory, random streams, secrets, the version of the source."""
