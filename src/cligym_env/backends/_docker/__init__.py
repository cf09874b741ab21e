"""The parts of the docker back end; ``backends/docker.py`` puts them together."""
