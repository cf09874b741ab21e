#!/bin/bash
cd /testbed
sed -i '1s/\/usr\/bin\/python2\.7/\/opt\/venv\/bin\/python3/' /opt/venv/bin/dotenv
