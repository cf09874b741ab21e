#!/bin/bash
cd /testbed
chmod 755 /opt/venv/bin/dotenv
