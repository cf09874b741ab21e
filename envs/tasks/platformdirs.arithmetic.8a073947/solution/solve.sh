#!/bin/bash
cd /testbed
sed -i '252s/\*/\//' /testbed/src/platformdirs/unix.py
