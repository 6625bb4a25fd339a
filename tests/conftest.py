"""Idle threads of one process must not spin while another computes."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
