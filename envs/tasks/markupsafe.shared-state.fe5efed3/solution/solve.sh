#!/bin/bash
cd /testbed
sed -i '207s/globals()\.setdefault("_shared_parts", \[\])/\[\]/' /testbed/src/markupsafe/__init__.py
