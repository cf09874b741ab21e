#!/bin/bash
cd /testbed
sed -i '/^http_proxy=/d' /etc/environment
