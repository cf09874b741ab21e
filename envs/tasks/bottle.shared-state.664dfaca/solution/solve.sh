#!/bin/bash
cd /testbed
sed -i '3025s/globals()\.setdefault("_shared_values", \[\])/\[\]/' /testbed/bottle.py
