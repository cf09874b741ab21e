#!/bin/bash
cd /testbed
/opt/venv/bin/python -m pip install --no-deps pretend==1.0.9
