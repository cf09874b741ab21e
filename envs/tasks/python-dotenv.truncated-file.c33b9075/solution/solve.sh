#!/bin/bash
cd /testbed
/opt/venv/bin/python -m pip install --force-reinstall --no-deps traitlets==5.16.1
