#!/bin/bash
cd /testbed
/opt/venv/bin/python -m pip install --force-reinstall --no-deps appdirs==1.4.4
