#!/bin/bash
cd /testbed
sed -i '312s/<=/>/' /testbed/tinydb/queries.py
