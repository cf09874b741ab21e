#!/bin/bash
cd /testbed
chown dev: /var/lib/python-dotenv/parse-value.lock
