import TuffCLI

await TuffProgram.main()
