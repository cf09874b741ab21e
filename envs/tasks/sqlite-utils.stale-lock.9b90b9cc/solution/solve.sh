#!/bin/bash
cd /testbed
rm /var/lib/sqlite-utils/inner.lock
