#!/bin/bash
cd /testbed
rm /opt/venv/lib/python3.11/site-packages/traitlets
/opt/venv/bin/python -m pip install --force-reinstall --no-deps traitlets==5.16.1
