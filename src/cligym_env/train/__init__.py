"""What training on trajectories needs beside the trainer. Needs the extra ``train``."""
