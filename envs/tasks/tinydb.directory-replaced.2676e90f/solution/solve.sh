#!/bin/bash
cd /testbed
rm /opt/venv/lib/python3.11/site-packages/yaml
/opt/venv/bin/python -m pip install --force-reinstall --no-deps pyyaml==6.0.3
