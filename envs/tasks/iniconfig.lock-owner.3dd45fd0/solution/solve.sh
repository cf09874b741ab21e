#!/bin/bash
cd /testbed
chown dev: /var/lib/iniconfig/lineof.lock
