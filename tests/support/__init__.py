"""What tests share: small, typed and free of assertions about ccterm."""
