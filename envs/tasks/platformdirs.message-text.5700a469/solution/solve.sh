#!/bin/bash
cd /testbed
sed -i 31s/paltformdirs/platformdirs/ /testbed/src/platformdirs/__main__.py
