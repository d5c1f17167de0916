import Dispatch
import TuffCLI

TuffProgram.prepare()
Task { await TuffProgram.main() }
dispatchMain()
