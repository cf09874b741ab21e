#!/bin/bash
cd /testbed
sed -i '33s/b"\\n"/b"\\r\\n"/' /testbed/h11/_writers.py
