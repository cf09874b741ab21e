#!/bin/bash
cd /testbed
chown dev: /var/lib/bottle/append.lock
