#!/bin/bash
cd /testbed
sed -i '33s/not v/v/' /testbed/src/dotenv/__init__.py
