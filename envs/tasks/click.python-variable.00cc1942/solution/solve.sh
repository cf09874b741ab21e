#!/bin/bash
cd /testbed
sed -i '/^PYTHONPATH=/d' /etc/environment
rm -r /srv/python
