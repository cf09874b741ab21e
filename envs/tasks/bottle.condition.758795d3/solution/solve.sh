#!/bin/bash
cd /testbed
sed -i '1527s/not p/p/' /testbed/bottle.py
