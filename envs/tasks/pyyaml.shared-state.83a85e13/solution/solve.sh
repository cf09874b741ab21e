#!/bin/bash
cd /testbed
sed -i '53s/globals()\.setdefault("_shared_new_path", \[\])/\[\]/' /testbed/lib/yaml/resolver.py
