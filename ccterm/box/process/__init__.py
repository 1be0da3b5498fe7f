"""Process trees inside a box: started, watched, killed and waited for."""
