#!/bin/bash
cd /testbed
sed -i '5s/"l\&t;"/"\&lt;"/' /testbed/src/markupsafe/_native.py
