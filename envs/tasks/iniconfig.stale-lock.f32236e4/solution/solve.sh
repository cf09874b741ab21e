#!/bin/bash
cd /testbed
rm /var/lib/iniconfig/lineof.lock
