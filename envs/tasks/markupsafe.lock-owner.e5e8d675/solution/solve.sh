#!/bin/bash
cd /testbed
chown dev: /var/lib/markupsafe/escape-inner.lock
