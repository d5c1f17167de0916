print("tuff")
