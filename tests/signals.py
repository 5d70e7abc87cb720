from audiosim.testing.signals import *
