#!/bin/bash
cd /testbed
cd /testbed
pip install --quiet --no-build-isolation --no-deps --editable .
