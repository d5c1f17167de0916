#include "CTuffHost.h"
