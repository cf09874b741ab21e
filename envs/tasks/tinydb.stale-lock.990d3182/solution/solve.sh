#!/bin/bash
cd /testbed
rm /var/lib/tinydb/close.lock
